"""What is compared: flaccodec and others, behind one interface."""
