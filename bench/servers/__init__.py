"""The servers that the service is compared with. Each of them returns the same data."""
