"""The settings from the environment, and the checked configuration from the files that operators write.

settings ....................... the settings, one field each
database_url ................... checks RELAY_DATABASE_URL
files .......................... reads routes.yaml and the templates
template_files, regular_file ... reads the folder of templates, and one file
configuration .................. the routes and templates that are live together
"""
