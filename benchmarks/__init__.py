"""rlef beside other ways to run a program, each question a module; ``README.md`` says how."""
