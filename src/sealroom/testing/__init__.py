"""Public: mints evidence under private roots, and stands in for every port of the system, labelled as what it is."""
