"""What an operator can do from a shell: one file per subject, one function per command."""
