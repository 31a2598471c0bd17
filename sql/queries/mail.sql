-- name: create_mail :exec
-- Store a mail to send after the commit
INSERT INTO mails (user_id, recipient, template, language, content)
VALUES (:user_id, :recipient, :template, :language, :content);

-- name: encrypted_mails :many
-- Some of the mails that are not sent yet, in the order of their ids
SELECT mails.id, mails.content FROM mails
WHERE mails.id > :after AND mails.content IS NOT NULL
ORDER BY mails.id ASC
LIMIT 500;

-- name: rotate_mail :one
-- Replace the ciphertext of a mail; no row if it was changed in the meantime
UPDATE mails SET content = :content WHERE mails.id = :id AND mails.content = :old_content RETURNING mails.id;
