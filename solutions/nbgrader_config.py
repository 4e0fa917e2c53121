# Settings of nbgrader for this course. exercises/ is made with them, and a class uses a copy of this file.
# ruff: noqa: F821 -- nbgrader defines get_config

c = get_config()
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("your turn: write this, and take this line out")'}
