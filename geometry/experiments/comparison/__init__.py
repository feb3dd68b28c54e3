"""Several models side by side: are hierarchies laid out alike in them?"""
