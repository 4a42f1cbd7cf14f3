"""Real clients of OpenAI's protocol against the real service: every client shows the same facts."""
