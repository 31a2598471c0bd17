-- name: personal_property :one
-- What belongs to a user, as one JSON array for each kind of rows, the newest first and at most `most` of each
SELECT
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', plan_periods.id, 'plan_id', plan_periods.plan_id, 'plan_name', plan_periods.plan_name,
        'started_at', plan_periods.started_at, 'ended_at', plan_periods.ended_at
      )
    FROM plan_periods
    WHERE plan_periods.user_id = :id
    ORDER BY plan_periods.id DESC
    LIMIT :most
  ) AS plan_periods,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', dedicated_ips.id, 'address', host(dedicated_ips.address), 'assigned_at', dedicated_ips.assigned_at
      )
    FROM dedicated_ips
    WHERE dedicated_ips.user_id = :id
    ORDER BY dedicated_ips.id DESC
    LIMIT :most
  ) AS dedicated_ips,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', wallets.id, 'name', wallets.name, 'is_default', wallets.is_default, 'balance_msat', wallets.balance_msat,
        'created_at', wallets.created_at
      )
    FROM wallets
    WHERE wallets.user_id = :id
    ORDER BY wallets.id DESC
    LIMIT :most
  ) AS wallets,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', newest.id, 'wallet_id', newest.wallet_id, 'amount_msat', newest.amount_msat, 'reason', newest.reason,
        'balance_after_msat', newest.balance_after_msat, 'created_at', newest.created_at
      )
    FROM wallets
    CROSS JOIN
      LATERAL (
        SELECT wallet_entries.* FROM wallet_entries
        WHERE wallet_entries.wallet_id = wallets.id
        ORDER BY wallet_entries.id DESC
        LIMIT :most
      ) AS newest
    WHERE wallets.user_id = :id
    ORDER BY newest.id DESC
    LIMIT :most
  ) AS wallet_entries,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', servers.id, 'name', servers.name, 'external_id', servers.external_id, 'created_at', servers.created_at
      )
    FROM servers
    WHERE servers.owner_id = :id
    ORDER BY servers.id DESC
    LIMIT :most
  ) AS servers,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', subusers.id,
        'server_id', subusers.server_id,
        'server_name', servers.name,
        'permissions', subusers.permissions,
        'until', subusers.until,
        'created_at', subusers.created_at
      )
    FROM subusers
    INNER JOIN servers ON subusers.server_id = servers.id
    WHERE subusers.user_id = :id
    ORDER BY subusers.id DESC
    LIMIT :most
  ) AS memberships,
  ARRAY(
    SELECT
      jsonb_build_object(
        'id', subusers.id,
        'server_id', subusers.server_id,
        'user_id', subusers.user_id,
        'permissions', subusers.permissions,
        'until', subusers.until,
        'created_at', subusers.created_at
      )
    FROM subusers
    INNER JOIN servers ON subusers.server_id = servers.id
    WHERE servers.owner_id = :id
    ORDER BY subusers.id DESC
    LIMIT :most
  ) AS memberships_on_own_servers;
