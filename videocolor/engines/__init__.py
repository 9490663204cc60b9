"""Engines: who works on tasks, processes of this machine or a Ray cluster; see `engines.base.open_engine`."""
