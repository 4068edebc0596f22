(* Ocamlnet's Netpop *)
let () =
  let argument = Array.get Sys.argv in
  let address = Unix.ADDR_INET (Unix.inet_addr_of_string (argument 1), int_of_string (argument 2)) in
  let input, output = Unix.open_connection address in
  let pop = new Netpop.client (new Netchannels.input_channel input) (new Netchannels.output_channel output) in
  if argument 7 = "apop" then pop#apop ~user:(argument 3) ~pass:(argument 4)
  else begin
    pop#user ~user:(argument 3);
    pop#pass ~pass:(argument 4)
  end;
  let count, _, _ = pop#stat () in
  for number = 1 to count do
    let message = pop#retr ~msgno:number in
    let file = open_out_bin ("out/" ^ string_of_int number) in
    output_string file (Netchannels.string_of_in_obj_channel message);
    close_out file;
    if argument 5 = "1" then pop#dele ~msgno:number
  done;
  pop#quit ()
