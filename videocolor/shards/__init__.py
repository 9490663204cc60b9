"""One film in resumable parts: plan, color, join."""
