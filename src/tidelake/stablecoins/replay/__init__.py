"""Histories played to the machines: folders of CSV files, bars, a virtual clock, a control."""
