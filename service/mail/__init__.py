"""Mail to users: stored in the transaction of a write, and sent after its commit."""
