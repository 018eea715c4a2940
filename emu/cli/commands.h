/* The subcommands of `pacifica`, from the rows of commands.def. */
#ifndef EMU_CLI_COMMANDS_H
#define EMU_CLI_COMMANDS_H

/* A handler gets the words from the subcommand's name on and returns the exit status. */
typedef int command_handler(int argc, char **argv);

/* The handler of a subcommand; NULL: the word is none. */
command_handler *command_find(const char *word);

/* Write the subcommands with their help, one a line. */
void commands_help(void);

#endif
