-- name: personal_data :one
-- What is kept about a user, as one JSON array for each kind of rows, the newest first and at most `most` of each
SELECT
  CAST(now() AS text) AS exported_at,
  (
    SELECT to_jsonb(found.*) FROM (
      SELECT
        users.id,
        users.username,
        users.email,
        users.email_verified,
        users.pending_email,
        users.first_name,
        users.last_name,
        users.display_name,
        users.language,
        users.tier,
        users.role_id,
        roles.name AS role_name,
        users.plan_id,
        plans.name AS plan_name,
        users.date_of_birth,
        users.billing_address,
        users.settings,
        users.limit_overrides,
        plans.limits AS plan_limits,
        users.two_factor_enabled,
        users.external_id,
        users.suspended_at,
        users.suspended_reason,
        users.suspended_until,
        users.deletion_scheduled_at,
        users.last_login_at,
        users.version,
        users.created_at,
        users.updated_at
      FROM users
      INNER JOIN roles ON users.role_id = roles.id
      LEFT JOIN plans ON users.plan_id = plans.id
      WHERE users.id = :id
    ) AS found
  ) AS account,
  ARRAY(
    SELECT jsonb_build_object('changed_at', credentials.changed_at) FROM credentials WHERE credentials.user_id = :id
  ) AS passwords,
  ARRAY(
    SELECT
      jsonb_build_object(
        'confirmed', two_factor_secrets.secret IS NOT NULL,
        'pending_until', two_factor_secrets.pending_until
      )
    FROM two_factor_secrets
    WHERE two_factor_secrets.user_id = :id
  ) AS authenticator_apps,
  (SELECT count(*) FROM recovery_codes WHERE recovery_codes.user_id = :id) AS unused_recovery_codes,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', passkeys.id,
        'name', passkeys.name,
        'sign_count', passkeys.sign_count,
        'transports', passkeys.transports,
        'created_at', passkeys.created_at,
        'last_used_at', passkeys.last_used_at
      )
    FROM passkeys
    WHERE passkeys.user_id = :id
    ORDER BY passkeys.id DESC
    LIMIT :most
  ) AS passkeys,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', sessions.id,
        'ip', CASE WHEN sessions.impersonator_id IS NULL THEN sessions.ip END,
        'user_agent', CASE WHEN sessions.impersonator_id IS NULL THEN sessions.user_agent END,
        'device', CASE WHEN sessions.impersonator_id IS NULL THEN sessions.device END,
        'created_at', sessions.created_at,
        'last_seen_at', sessions.last_seen_at,
        'idle_expires_at', sessions.idle_expires_at,
        'expires_at', sessions.expires_at,
        'ended_at', sessions.ended_at,
        'authenticated_at', sessions.authenticated_at,
        'impersonator_id', sessions.impersonator_id
      )
    FROM sessions
    WHERE sessions.user_id = :id
    ORDER BY sessions.id DESC
    LIMIT :most
  ) AS sessions,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', api_keys.id,
        'name', api_keys.name,
        'prefix', api_keys.prefix,
        'permissions', api_keys.permissions,
        'allowed_ips', api_keys.allowed_ips,
        'created_at', api_keys.created_at,
        'last_used_at', api_keys.last_used_at,
        'expires_at', api_keys.expires_at
      )
    FROM api_keys
    WHERE api_keys.user_id = :id
    ORDER BY api_keys.id DESC
    LIMIT :most
  ) AS api_keys,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', ssh_keys.id,
        'name', ssh_keys.name,
        'type', ssh_keys.type,
        'fingerprint', ssh_keys.fingerprint,
        'public_key', ssh_keys.public_key,
        'created_at', ssh_keys.created_at,
        'last_used_at', ssh_keys.last_used_at
      )
    FROM ssh_keys
    WHERE ssh_keys.user_id = :id
    ORDER BY ssh_keys.id DESC
    LIMIT :most
  ) AS ssh_keys,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', mails.id,
        'recipient', mails.recipient,
        'template', mails.template,
        'language', mails.language,
        'tries', mails.tries,
        'next_try_at', mails.next_try_at,
        'created_at', mails.created_at,
        'sent_at', mails.sent_at,
        'failed_at', mails.failed_at,
        'problem', mails.problem
      )
    FROM mails
    WHERE
      mails.user_id = :id
      OR (
        mails.user_id IS NULL
        AND fold(mails.recipient)
        = (SELECT fold(users.email) AS address FROM users WHERE users.id = :id AND users.email_verified)
      )
    ORDER BY mails.id DESC
    LIMIT :most
  ) AS mails,
  ARRAY(
    SELECT jsonb_build_object('expires_at', invitations.expires_at) FROM invitations WHERE invitations.user_id = :id
  ) AS invitations,
  ARRAY(
    SELECT
      jsonb_build_object(
        'purpose', one_time_tokens.purpose,
        'created_at', one_time_tokens.created_at,
        'expires_at', one_time_tokens.expires_at
      )
    FROM one_time_tokens
    WHERE one_time_tokens.user_id = :id
    ORDER BY one_time_tokens.created_at DESC
    LIMIT :most
  ) AS links,
  ARRAY(
    SELECT
      jsonb_build_object(
        'email', registrations.email,
        'created_at', registrations.created_at,
        'expires_at', registrations.expires_at
      )
    FROM registrations
    INNER JOIN users ON fold(registrations.email) = fold(users.email)
    WHERE users.id = :id AND users.email_verified
    ORDER BY registrations.created_at DESC
    LIMIT :most
  ) AS registrations,
  ARRAY(
    SELECT
      jsonb_build_object(
        'operation', idempotency_keys.operation,
        'result_id', idempotency_keys.result_id,
        'created_at', idempotency_keys.created_at
      )
    FROM idempotency_keys
    WHERE idempotency_keys.actor_id = :id
    ORDER BY idempotency_keys.created_at DESC
    LIMIT :most
  ) AS idempotency_keys,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', found.id,
        'event', found.event,
        'actor_id', found.actor_id,
        'impersonator_id', found.impersonator_id,
        'credential', CASE WHEN found.is_own_act THEN found.credential END,
        'target_type', found.target_type,
        'target_id', found.target_id,
        'changes', CASE WHEN found.owner_id = :id OR found.target_id = :id THEN found.changes ELSE '{}' END,
        'ip', CASE WHEN found.is_own_act THEN found.ip END,
        'request_id', CASE WHEN found.is_own_act THEN found.request_id END,
        'created_at', found.created_at
      )
    FROM (
      SELECT
        audit_events.*,
        audit_events.actor_id = :id AND audit_events.impersonator_id IS NULL AS is_own_act
      FROM audit_events
      WHERE
        audit_events.id IN (
          (
            SELECT caused.id FROM audit_events AS caused
            WHERE caused.actor_id = :id
            ORDER BY caused.id DESC
            LIMIT :most
          )
          UNION
          (
            SELECT owned.id FROM audit_events AS owned
            WHERE owned.owner_id = :id
            ORDER BY owned.id DESC
            LIMIT :most
          )
        )
    ) AS found
    ORDER BY found.id DESC
    LIMIT :most
  ) AS audit_events;
