"""GraphQL over HTTP: messages, authentication, and the endpoint."""
