"""The embedded Qdrant: Qdrant's REST API over Qdrant Edge."""
