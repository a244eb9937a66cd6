"""One live call: the line, hearing, the dialogue, the gate's door to speech. The only place that imports pipecat."""
