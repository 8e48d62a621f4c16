"""Machines of many coins in several processes, with the records of one."""
