-- name: create_wallet_entry :one WalletEntry
-- Add an entry to the ledger, which changes the balance of the wallet
INSERT INTO wallet_entries (wallet_id, amount_msat, reason, actor_id)
VALUES (:wallet_id, :amount_msat, :reason, :actor_id)
RETURNING wallet_entries.*;

-- name: wallet_entries_by_id :many WalletEntry
-- Entries by id
SELECT wallet_entries.id AS key, wallet_entries.* FROM wallet_entries
WHERE wallet_entries.id = ANY(CAST(:keys AS uuid[]));

-- name: wallet_entries_by_wallet :list WalletEntry
-- Entries of a wallet
SELECT wallet_entries.* FROM wallet_entries WHERE wallet_entries.wallet_id = :key;
