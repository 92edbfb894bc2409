"""Pictures of what preprocessing does to a clip."""
