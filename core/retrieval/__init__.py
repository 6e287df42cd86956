"""What is decided about finding passages: fusing, selecting, arranging."""
