-- name: count_wallets :value
-- The number of a user's wallets; run it while the user is locked
SELECT count(*) FROM wallets WHERE wallets.user_id = :user_id;

-- name: create_wallet :one Wallet
-- Create a wallet beside the default one
INSERT INTO wallets (user_id, owner_id, name) VALUES (:user_id, :user_id, :name) RETURNING wallets.*;

-- name: lock_wallet :one Wallet
-- A wallet of a user, the default one without an id, locked until the transaction ends; lock the user before
SELECT wallets.* FROM wallets
WHERE
  wallets.user_id = :user_id
  AND CASE WHEN CAST(:id AS uuid) IS NULL THEN wallets.is_default ELSE wallets.id = CAST(:id AS uuid) END
FOR UPDATE;

-- name: wallet_totals_by_user :many
-- The number of the wallets of each user, and the sum of their balances
SELECT
  wallets.user_id AS key,
  count(*) AS number,
  CAST(sum(wallets.balance_msat) AS bigint) AS balance_msat
FROM wallets
WHERE wallets.user_id = ANY(CAST(:keys AS uuid[]))
GROUP BY wallets.user_id;

-- name: wallets_by_id :many Wallet
-- Wallets by id, also closed ones
SELECT wallets.id AS key, wallets.* FROM wallets WHERE wallets.id = ANY(CAST(:keys AS uuid[]));

-- name: wallets_by_user :many Wallet
-- The wallets of each user, the default one first, then in the order of their creation
SELECT wallets.user_id AS key, wallets.* FROM wallets
WHERE wallets.user_id = ANY(CAST(:keys AS uuid[]))
ORDER BY wallets.is_default DESC, wallets.id ASC;
