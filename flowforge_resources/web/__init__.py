"""HTTP APIs: who we are to them, how long we wait for them, what they answer. Knows neither tables nor pages."""
