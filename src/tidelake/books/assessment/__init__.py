"""What a vendor's files of a day are worth: measures of clocks, numbers and books; findings; a strategy; a report."""
