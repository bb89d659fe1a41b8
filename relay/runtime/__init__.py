"""What every component needs: the clock, the log without secrets, worker processes, and the service manager.

clock .......................... the time, which tests replace
logging, secrets ............... the log, and the secrets that it must not show
worker_process ................. runs functions in another process that can be ended
fair_queue ..................... work of several senders, in turn
background_work ................ several pieces of work at a time, of which none waits for another
shared_call .................... work that runs once for all who ask at the same time
service_manager ................ systemd: readiness, watchdog, sockets
nonblocking_stderr, terminal ... output that neither blocks nor lets text from outside control the terminal
memory, light_structlog ........ memory back to the system; structlog without what relay does not use
"""
