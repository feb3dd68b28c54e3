"""The study of vectors that are searched for without prompts of what they are to bring."""
