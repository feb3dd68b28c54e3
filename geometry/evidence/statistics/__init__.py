"""What is measured: each statistic a pure function of concept vectors, one idea a file."""
