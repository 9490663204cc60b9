"""The studio: see the film, pick hints, correct, compare, render. A page in the browser, a project in a folder.

project     the folder: project.json, shots.yaml, hints/, history/      videocolor.studio.project
edits       what a person can change, as pure functions                 videocolor.studio.edits
render      the film as a batch job that survives the page              videocolor.studio.render

These three need no web server (extra `web`); nothing outside this package imports it but the command line.
"""
