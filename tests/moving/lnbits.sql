CREATE TABLE accounts (id TEXT PRIMARY KEY, email TEXT, password_hash TEXT, username TEXT, extra TEXT, created_at TIMESTAMP DEFAULT (strftime('%s', 'now')), updated_at TIMESTAMP DEFAULT (strftime('%s', 'now')), pubkey TEXT, access_control_list TEXT, external_id TEXT, ui_customization TEXT, activated BOOLEAN DEFAULT true);
CREATE TABLE wallets (id TEXT PRIMARY KEY, name TEXT NOT NULL, "user" TEXT NOT NULL, adminkey TEXT NOT NULL, inkey TEXT, currency TEXT, deleted BOOLEAN NOT NULL DEFAULT false, created_at TIMESTAMP DEFAULT (strftime('%s', 'now')), updated_at TIMESTAMP DEFAULT (strftime('%s', 'now')), extra TEXT, stored_paylinks TEXT, wallet_type TEXT DEFAULT 'lightning', shared_wallet_id TEXT);
CREATE TABLE apipayments (checking_id TEXT, wallet_id TEXT, status TEXT, amount BIGINT, fee BIGINT);
CREATE TABLE system_settings (id TEXT, value TEXT, tag TEXT NOT NULL DEFAULT 'core', UNIQUE (id, tag));
CREATE VIEW balances AS
SELECT p.wallet_id, sum(p.amount - abs(p.fee)) AS balance
FROM apipayments p JOIN wallets w ON w.id = p.wallet_id
WHERE NOT w.deleted AND (p.status = 'success' OR (p.status = 'pending' AND p.amount < 0))
GROUP BY p.wallet_id;
INSERT INTO system_settings VALUES ('super_user','"aaaaaaaaaaaa00000000000000000001"','core'),('lnbits_admin_users','["aaaaaaaaaaaa00000000000000000002"]','core'),('lnbits_site_title','"secret funding key"','core'),('super_user','"other"','extension');
INSERT INTO accounts (id, username, email, password_hash, pubkey, external_id, extra, activated, created_at, updated_at) VALUES ('aaaaaaaaaaaa00000000000000000001', 'super', NULL, '$2b$04$xc0Sgdl63dpgvFsC62WIXOU5PI6aBWkk1LDGPeG3gGrmJVSzyEeQ6', NULL, NULL, '{"email_verified": false, "provider": "env"}', 1, 1704164641, 1704164641);
INSERT INTO accounts (id, username, email, password_hash, pubkey, external_id, extra, activated, created_at, updated_at) VALUES ('aaaaaaaaaaaa00000000000000000002', 'sat.oshi', 'sat@ln.example', '$2b$04$tfZXBjt799W0ooQuG4sereylwhOl4CPjsccZI0SdPfk2xJ7.7bIlS', 'abababababababababababababababababababababababababababababababab', 'ext 1', '{"email_verified": true, "first_name": "Sat", "last_name": "Oshi", "display_name": "\u26a1", "provider": "google"}', 1, 1704164642, 1704164642);
INSERT INTO accounts (id, username, email, password_hash, pubkey, external_id, extra, activated, created_at, updated_at) VALUES ('aaaaaaaaaaaa00000000000000000003', NULL, 'off@ln.example', '$2b$04$Hqfb5ngjEqSZVrkKNGp4quHRSow2A4lAMRZ/H09KUBK0FCEEfq6IS', NULL, NULL, NULL, 0, 1704164643, 1704164673);
INSERT INTO accounts (id, username, email, password_hash, pubkey, external_id, extra, activated, created_at, updated_at) VALUES ('aaaaaaaaaaaa00000000000000000004', NULL, NULL, NULL, NULL, NULL, '{}', 1, 1704164644, 1704164644);
INSERT INTO wallets (id, name, "user", created_at, deleted, wallet_type, adminkey) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', 'Main', 'aaaaaaaaaaaa00000000000000000002', 1704164650, 0, 'lightning', 'k');
INSERT INTO wallets (id, name, "user", created_at, deleted, wallet_type, adminkey) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2', 'Second', 'aaaaaaaaaaaa00000000000000000002', 1704164651, 0, 'lightning', 'k');
INSERT INTO wallets (id, name, "user", created_at, deleted, wallet_type, adminkey) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3', 'Gone', 'aaaaaaaaaaaa00000000000000000004', 1704164649, 1, 'lightning', 'k');
INSERT INTO wallets (id, name, "user", created_at, deleted, wallet_type, adminkey) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa4', 'Only', 'aaaaaaaaaaaa00000000000000000004', 1704164652, 0, 'lightning', 'k');
INSERT INTO wallets (id, name, "user", created_at, deleted, wallet_type, adminkey) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa5', 'Shared', 'aaaaaaaaaaaa00000000000000000001', 1704164653, 0, 'lightning-shared', 'k');
INSERT INTO wallets (id, name, "user", created_at, deleted, wallet_type, adminkey) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6', 'Debt', 'aaaaaaaaaaaa00000000000000000003', 1704164654, 0, 'lightning', 'k');
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p1', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', 'success', 2100000, 0);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p2', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', 'success', -100000, -1000);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p3', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', 'pending', -50000, 0);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p4', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', 'pending', 999, 0);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p5', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', 'failed', -777, 0);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p6', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa4', 'success', 5, 0);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p7', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6', 'success', -10, -1);
INSERT INTO apipayments (checking_id, wallet_id, status, amount, fee) VALUES ('p8', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3', 'success', 77, 0);
