"""The speed and memory harness: FlowForge against the best hand-written script, on the same data, against the same truth."""
