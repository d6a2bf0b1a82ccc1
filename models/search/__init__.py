"""Search in a catalogue by words, attributes and meaning, and the questions of "help me choose"."""
