"""The program: settings, container, command line. The only code that knows every adapter."""
