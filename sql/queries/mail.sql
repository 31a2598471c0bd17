-- name: create_mail :exec
-- Store a mail to send after the commit
INSERT INTO mails (user_id, recipient, template, language, content)
VALUES (:user_id, :recipient, :template, :language, :content);
