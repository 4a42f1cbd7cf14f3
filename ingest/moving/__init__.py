"""Carries an index from one Qdrant to another, with its documents' files, without embedding anything again."""
