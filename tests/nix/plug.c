const char *greet(void); const char *plug(void) { return greet(); }
