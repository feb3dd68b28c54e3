"""The study of chosen sites and strengths, and of what geometry forecasts."""
