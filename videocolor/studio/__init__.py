"""The studio: a page in the browser to hint, preview, correct and render a film; its project in a folder.

project     the folder: project.json, shots.yaml, hints/, history/
edits       changes of a project as pure functions
render      the film as a batch job that survives the page
session     makes and connects all parts
api         the routes of the web application

`project`, `edits` and `render` need no web server (extra `web`).
"""
