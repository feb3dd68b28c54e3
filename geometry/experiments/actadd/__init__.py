"""The study of activation addition as its post measures it."""
