"""The one way in and out: views, transactions, the gate, the writer."""
