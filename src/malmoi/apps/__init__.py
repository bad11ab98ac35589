"""What people open in the browser. An app knows the gateway and the engines below it, never another app."""
