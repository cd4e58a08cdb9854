"""What stands behind ./viv: set-up, build, emulators, tests, grading. Python's standard library only."""
