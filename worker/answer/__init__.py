"""From hits to an answer whose sources are checked; no service is reached from here but through functions given."""
