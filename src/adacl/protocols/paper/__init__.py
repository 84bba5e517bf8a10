"""The paper's tables, figures and claims, from the results of its experiments."""
