-- name: claim_mail :one
-- Claim the mail that has been due for longest, for `lease` seconds; no row if there is none that is not claimed
UPDATE mails
SET tries = mails.tries + 1, next_try_at = now() + make_interval(secs => :lease)
WHERE
  mails.id = (
    SELECT due.id FROM mails AS due
    WHERE
      due.sent_at IS NULL
      AND due.failed_at IS NULL
      AND due.created_at > now() - interval '7 days' -- longer than any link in a mail is valid
      AND due.next_try_at BETWEEN now() - interval '7 days' AND now() -- older ones need not be read
    ORDER BY due.next_try_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
  )
RETURNING mails.*;

-- name: create_mail :exec
-- Store a mail to send after the commit, unless its recipient had `most` of its kind within an hour
INSERT INTO mails (user_id, recipient, template, language, content)
SELECT
  CAST(:user_id AS uuid) AS user_id,
  CAST(:recipient AS text) AS recipient,
  CAST(:template AS text) AS template,
  CAST(:language AS text) AS language,
  CAST(:content AS bytea) AS content
WHERE
  (
    SELECT count(*) FROM mails
    WHERE
      mails.recipient = CAST(:recipient AS text)
      AND mails.template = CAST(:template AS text)
      AND mails.created_at > now() - interval '1 hour'
  ) < :most;

-- name: delete_old_mails :many
-- Delete some of the mails that were sent or failed 30 days ago, or were created then and never sent
DELETE FROM mails
WHERE
  mails.id IN (
    SELECT old.id FROM mails AS old
    WHERE coalesce(old.sent_at, old.failed_at, old.created_at) < now() - interval '30 days'
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING mails.id;

-- name: encrypted_mails :many
-- Some of the mails that are not sent yet, in the order of their ids
SELECT mails.id, mails.content FROM mails
WHERE mails.id > :after AND mails.content IS NOT NULL
ORDER BY mails.id ASC
LIMIT 500;

-- name: mail_by_id :one
-- One mail that has not been sent
SELECT mails.* FROM mails WHERE mails.id = :id AND mails.content IS NOT NULL;

-- name: pending_mails :many
-- The oldest mails that have not been sent
SELECT mails.* FROM mails
WHERE mails.sent_at IS NULL AND mails.failed_at IS NULL
ORDER BY mails.id
LIMIT :most;

-- name: record_mail_failure :exec
-- Record why a try failed, and when the next one is in seconds; without a next one the mail has failed
UPDATE mails
SET
  problem = :problem,
  next_try_at = now() + make_interval(secs => coalesce(CAST(:wait AS float8), 0)),
  failed_at = CASE WHEN CAST(:wait AS float8) IS NULL THEN now() END,
  content = CASE WHEN CAST(:wait AS float8) IS NOT NULL THEN mails.content END
WHERE mails.id = :id AND mails.sent_at IS NULL;

-- name: record_mail_sent :exec
-- Record that a mail was sent, and remove what it said
UPDATE mails SET sent_at = now(), content = NULL, problem = NULL WHERE mails.id = :id;

-- name: reencrypt_mail :one
-- Replace the ciphertext of a mail; no row if it was changed in the meantime
UPDATE mails SET content = :content WHERE mails.id = :id AND mails.content = :old_content RETURNING mails.id;
