"""Simulated WebSocket venues: the books of `sim.books` behind sockets, with faults drawn as frames are sent."""
