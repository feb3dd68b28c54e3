"""Analysis scripts: each makes one family of figures and reads like a method section."""
