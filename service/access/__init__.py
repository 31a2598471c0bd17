"""Access: the permissions, the rules that fields declare, the actor of a request, and every access decision."""
