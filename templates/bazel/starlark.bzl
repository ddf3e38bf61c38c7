"""Writes the text of BUILD files: `repr` quotes every value as Starlark expects."""

def load_text(file, *symbols):
    """Returns a load statement.

    Args:
      file: the label of the file.
      *symbols: what is taken from it.

    Returns:
      Its text.
    """
    return "load(" + ", ".join([repr(word) for word in [file] + list(symbols)]) + ")\n"

def call_text(function, **arguments):
    """Returns a call with named arguments.

    Args:
      function: the name of a rule or a macro.
      **arguments: strings, numbers, booleans, lists and dictionaries; text of `select_text` too.

    Returns:
      Its text.
    """
    lines = ["    {} = {},".format(key, value.text if type(value) == type(struct()) else repr(value)) for key, value in arguments.items()]
    return "\n".join([function + "("] + lines + [")", ""])

def select_text(choices, no_match_error):
    """Returns a `select`, as the value of an argument.

    Args:
      choices: the values by condition.
      no_match_error: what is said where no condition holds.

    Returns:
      A struct for `call_text`.
    """
    return struct(text = "select({}, no_match_error = {})".format(repr(choices), repr(no_match_error)))
