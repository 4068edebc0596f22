// Poco::Net::POP3ClientSession
#include <Poco/Net/MailMessage.h>
#include <Poco/Net/POP3ClientSession.h>
#include <fstream>
#include <iostream>
#include <string>

int main(int, char **arguments)
try {
    Poco::Net::POP3ClientSession pop(arguments[1], std::stoi(arguments[2]));
    pop.login(arguments[3], arguments[4]);
    int count = pop.messageCount();
    for (int number = 1; number <= count; number++) {
        std::ofstream file("out/" + std::to_string(number), std::ios::binary);
        pop.retrieveMessage(number, file);
        if (arguments[5][0] == '1')
            pop.deleteMessage(number);
    }
    pop.close();
} catch (Poco::Exception &error) {
    std::cerr << error.displayText() << '\n';
    return 1;
}
