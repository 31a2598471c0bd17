-- name: consume_token :one
-- Use a token of a purpose, which no other request can then use; no row if it is unknown, used, or expired
DELETE FROM one_time_tokens
WHERE
  one_time_tokens.hash = :hash
  AND one_time_tokens.purpose = :purpose
  AND one_time_tokens.expires_at > now()
RETURNING one_time_tokens.user_id, one_time_tokens.data;

-- name: create_token :exec
-- Store a token that is valid once, for `lifetime` seconds
INSERT INTO one_time_tokens (hash, purpose, user_id, data, expires_at)
VALUES (:hash, :purpose, :user_id, CAST(:data AS jsonb), now() + make_interval(secs => :lifetime));

-- name: delete_expired_tokens :many
-- Delete some of the tokens that expired
DELETE FROM one_time_tokens
WHERE
  one_time_tokens.hash IN (
    SELECT expired.hash FROM one_time_tokens AS expired
    WHERE expired.expires_at <= now()
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING one_time_tokens.purpose;

-- name: delete_later_tokens :exec
-- Delete the tokens of the same user and purpose that are newer than this one
DELETE FROM one_time_tokens
USING one_time_tokens AS used
WHERE
  used.hash = :hash
  AND one_time_tokens.user_id = used.user_id
  AND one_time_tokens.purpose = used.purpose
  AND one_time_tokens.created_at > used.created_at;

-- name: delete_tokens_by_user :many
-- Delete the tokens of a user for some purposes
DELETE FROM one_time_tokens
WHERE one_time_tokens.user_id = :user_id AND one_time_tokens.purpose = ANY(CAST(:purposes AS text[]))
RETURNING one_time_tokens.purpose;

-- name: token_by_hash :one
-- A token of one of the purposes that can still be used, with its user
SELECT one_time_tokens.purpose, one_time_tokens.user_id, one_time_tokens.data FROM one_time_tokens
WHERE
  one_time_tokens.hash = :hash
  AND one_time_tokens.purpose = ANY(CAST(:purposes AS text[]))
  AND one_time_tokens.expires_at > now();
